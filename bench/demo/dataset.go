package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// dataset is what was made.
type dataset struct {
	files int
	bytes int64
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// makeDataset makes a small delivery of Earth-observation data below dir: names,
// layout, sizes and first bytes are those of the real thing, the rest is noise
// from a fixed seed.
func makeDataset(dir string) (dataset, error) {
	m := maker{dir: dir, noise: rand.NewChaCha8([32]byte{'d', 'e', 'm', 'o'})}
	m.data("S2B_MSIL2A_20260614T110619_T30UXC/TCI_10m.tif", "II*\x00\x08\x00\x00\x00", 96*mib+12345)
	m.data("climate/tas_day_HadGEM3_2026.nc", "\x89HDF\r\n\x1a\n", 22*mib+678)
	const store = "climate/t2m.zarr/"
	m.text(store+".zgroup", `{"zarr_format": 2}`)
	m.text(store+".zattrs", `{"Conventions": "CF-1.10", "title": "2 m temperature"}`)
	m.text(store+"t2m/.zarray", `{"chunks": [24, 128, 128], "compressor": null, "dtype": "<f4", "fill_value": "NaN",`+
		` "filters": null, "order": "C", "shape": [144, 256, 512], "zarr_format": 2}`)
	m.text(store+"t2m/.zattrs", `{"_ARRAY_DIMENSIONS": ["time", "lat", "lon"], "units": "K"}`)
	for t := range 6 {
		for y := range 2 {
			for x := range 4 {
				m.data(fmt.Sprintf("%st2m/%d.%d.%d", store, t, y, x), "", 384*kib)
			}
		}
	}
	m.text("stac/catalog.json", `{"type": "Catalog", "id": "demo", "stac_version": "1.1.0", "description": "A delivery", "links": []}`)
	for i := range 8 {
		id := fmt.Sprintf("S2B_30UXC_202606%02d_0_L2A", 2*i+1)
		m.text("stac/items/"+id+".json", fmt.Sprintf(`{"type": "Feature", "stac_version": "1.1.0", "id": %q, "geometry": {"type": "Point",`+
			` "coordinates": [-1.2, 51.6]}, "bbox": [-1.2, 51.6, -1.2, 51.6], "properties": {"datetime": "2026-06-%02dT11:06:19Z"},`+
			` "links": [], "assets": {}}`, id, 2*i+1))
	}
	return m.made, m.err
}

// maker makes files until one fails.
type maker struct {
	dir   string
	noise *rand.ChaCha8
	made  dataset
	err   error
}

// data makes a file of size bytes that begins as given.
func (m *maker) data(name, begins string, size int) {
	b := make([]byte, size)
	_, _ = m.noise.Read(b) // never fails
	copy(b, begins)
	m.write(name, b)
}

func (m *maker) text(name, text string) { m.write(name, []byte(text+"\n")) }

func (m *maker) write(name string, b []byte) {
	if m.err != nil {
		return
	}
	path := filepath.Join(m.dir, filepath.FromSlash(name))
	if m.err = os.MkdirAll(filepath.Dir(path), 0o750); m.err == nil {
		m.err = os.WriteFile(path, b, 0o600)
	}
	m.made.files++
	m.made.bytes += int64(len(b))
}
