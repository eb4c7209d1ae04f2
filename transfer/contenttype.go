package transfer

import "strings"

// ContentType says what an object of this key holds, by the extension of its
// name alone, so that every machine says the same. It is
// "application/octet-stream" where the extension tells nothing.
func ContentType(key string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return contentUnknown
	}
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, ".copc.laz") {
		return "application/vnd.laszip+copc"
	}
	// Lower case may take another number of bytes, but not before the last dot
	// of an extension that is in the table.
	if t, ok := contentTypes[lower[strings.LastIndexByte(lower, '.'):]]; ok {
		return t
	}
	return contentUnknown
}

const contentUnknown = "application/octet-stream"

// contentTypes has the type IANA registers where there is one; else the one
// that the STAC best practices and pystac's MediaType use, as for netCDF
// (registered nowhere; application/x-netcdf is its older name), HDF5, GRIB,
// COPC, FlatGeobuf and PMTiles. A GeoTIFF's name does not tell whether it is
// cloud-optimized.
var contentTypes = map[string]string{
	// rasters and arrays
	".tif":   "image/tiff",
	".tiff":  "image/tiff",
	".gtiff": "image/tiff",
	".jp2":   "image/jp2",
	".nc":    "application/netcdf",
	".nc4":   "application/netcdf",
	".cdf":   "application/netcdf",
	".h5":    "application/x-hdf5",
	".hdf5":  "application/x-hdf5",
	".he5":   "application/x-hdf5",
	".hdf":   "application/x-hdf",
	".grib":  "application/wmo-GRIB2",
	".grib2": "application/wmo-GRIB2",
	".grb":   "application/wmo-GRIB2",
	".grb2":  "application/wmo-GRIB2",
	".vrt":   "application/xml",

	// Zarr metadata; zarr.json is .json
	".zarray":    "application/json",
	".zattrs":    "application/json",
	".zgroup":    "application/json",
	".zmetadata": "application/json",

	// vectors, tables, points
	".geojson":    "application/geo+json",
	".geojsonl":   "application/geo+json-seq",
	".gpkg":       "application/geopackage+sqlite3",
	".kml":        "application/vnd.google-earth.kml+xml",
	".kmz":        "application/vnd.google-earth.kmz",
	".gml":        "application/gml+xml",
	".shp":        "application/vnd.shp",
	".shx":        "application/vnd.shx",
	".dbf":        "application/vnd.dbf",
	".prj":        "text/plain",
	".cpg":        "text/plain",
	".fgb":        "application/vnd.flatgeobuf",
	".pmtiles":    "application/vnd.pmtiles",
	".mbtiles":    "application/vnd.mapbox-vector-tile+sqlite3",
	".parquet":    "application/vnd.apache.parquet",
	".geoparquet": "application/vnd.apache.parquet",
	".arrow":      "application/vnd.apache.arrow.file",
	".feather":    "application/vnd.apache.arrow.file",
	".sqlite":     "application/vnd.sqlite3",
	".las":        "application/vnd.las",
	".laz":        "application/vnd.laszip",

	// documents
	".json":   "application/json",
	".jsonl":  "application/x-ndjson",
	".ndjson": "application/x-ndjson",
	".stac":   "application/geo+json", // an item, which is GeoJSON
	".xml":    "application/xml",
	".xsd":    "application/xml",
	".csv":    "text/csv",
	".tsv":    "text/tab-separated-values",
	".txt":    "text/plain",
	".log":    "text/plain",
	".md":     "text/markdown",
	".html":   "text/html",
	".htm":    "text/html",
	".css":    "text/css",
	".js":     "text/javascript",
	".yaml":   "application/yaml",
	".yml":    "application/yaml",
	".toml":   "application/toml",
	".pdf":    "application/pdf",
	".ipynb":  "application/x-ipynb+json",
	".py":     "text/x-python",

	// pictures
	".png":  "image/png",
	".jpg":  "image/jpeg",
	".jpeg": "image/jpeg",
	".gif":  "image/gif",
	".webp": "image/webp",
	".svg":  "image/svg+xml",
	".mp4":  "video/mp4",

	// archives
	".zip": "application/zip",
	".gz":  "application/gzip",
	".tgz": "application/gzip",
	".tar": "application/x-tar",
	".zst": "application/zstd",
	".bz2": "application/x-bzip2",
	".xz":  "application/x-xz",
	".7z":  "application/x-7z-compressed",
}
