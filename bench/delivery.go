package main

// delivery is a folder as Earth-observation data comes: 40 files and 6 GB, 24 of
// the files below 5 MB, 96 % of the bytes in the ten largest. Sizes are the
// usual ones of such products, to about a tenth: a Sentinel-2 L1C tile is a SAFE
// folder of some 0.8 GB, JPEG 2000 by band and resolution, with XML about it; a
// Sentinel-1 IW GRDH scene has one GeoTIFF of 0.8 to 0.9 GB for each polarisation;
// a commercial scene (WorldView, Pléiades) comes as GeoTIFF tiles of GBs,
// pan-sharpened, and a smaller multispectral one, with small text beside it.
var delivery = load{scaleSize: true, shares: []share{
	// Sentinel-2 L1C.
	{1, 131_400_000},                   // true colour image
	{1, 108_900_000}, {1, 117_300_000}, // bands of 10 m
	{1, 121_600_000}, {1, 127_800_000},
	{1, 31_200_000}, {1, 33_900_000}, {1, 34_600_000}, // bands of 20 m
	{1, 34_100_000}, {1, 32_700_000}, {1, 30_400_000},
	{1, 3_600_000}, {1, 3_100_000}, {1, 1_400_000}, // bands of 60 m
	{1, 610_000}, {1, 56_000}, {1, 71_000}, // MTD_TL.xml, MTD_MSIL1C.xml, manifest.safe
	{1, 18_000}, {1, 9_400}, // INSPIRE.xml and a page to look at it
	{3, 5_300}, {2, 1_900}, // reports of quality
	// Sentinel-1 IW GRDH.
	{2, 842_000_000},               // VV and VH
	{2, 1_900_000}, {2, 1_100_000}, // annotation, calibration and noise
	{1, 27_000}, // manifest.safe
	// A commercial scene.
	{1, 1_940_000_000}, {1, 1_260_000_000}, // two tiles, pan-sharpened
	{1, 310_000_000},        // multispectral
	{1, 640_000},            // preview
	{3, 14_000}, {2, 2_800}, // metadata, rational polynomials, licence
}}
