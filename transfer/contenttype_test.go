package transfer

import (
	"mime"
	"strings"
	"testing"
)

func TestContentType(t *testing.T) {
	for key, want := range map[string]string{
		"":                      "application/octet-stream",
		"a/b":                   "application/octet-stream",
		"s.zarr/0.0.0":          "application/octet-stream",
		"s.zarr/c/0/1":          "application/octet-stream",
		"dir.tif/x":             "application/octet-stream",
		"x.":                    "application/octet-stream",
		"a/B04.TIF":             "image/tiff",
		"a/b.tiff":              "image/tiff",
		"a.nc":                  "application/netcdf",
		"a.nc4":                 "application/netcdf",
		"a.h5":                  "application/x-hdf5",
		"s.zarr/.zarray":        "application/json",
		"s.zarr/.zmetadata":     "application/json",
		"s.zarr/zarr.json":      "application/json",
		"a.b.geojson":           "application/geo+json",
		"p.copc.laz":            "application/vnd.laszip+copc",
		"P.COPC.LAZ":            "application/vnd.laszip+copc",
		"p.laz":                 "application/vnd.laszip",
		"a.grib2":               "application/wmo-GRIB2",
		"a.csv.gz":              "application/gzip",
		"a.parquet":             "application/vnd.apache.parquet",
		"\xff\xfe.png":          "image/png",
		"İİİİİ.jp2":             "image/jp2",
		"a.İ":                   "application/octet-stream",
		"s2/MTD_MSIL2A.xml":     "application/xml",
		"a.gpkg":                "application/geopackage+sqlite3",
		".hidden":               "application/octet-stream",
		strings.Repeat("x.", 9): "application/octet-stream",
	} {
		if got := ContentType(key); got != want {
			t.Errorf("%q: %s instead of %s", key, got, want)
		}
	}
}

func TestContentTypesAreWellFormed(t *testing.T) {
	for ext, typ := range contentTypes {
		if ext != strings.ToLower(ext) || strings.LastIndexByte(ext, '.') != 0 {
			t.Errorf("%q is never looked up", ext)
		}
		if _, _, err := mime.ParseMediaType(typ); err != nil {
			t.Errorf("%s: %q: %v", ext, typ, err)
		}
	}
}
