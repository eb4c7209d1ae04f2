package transfer

import "testing"

func scanPipes(t *testing.T, _ string) { t.Skip("no fifos here") }
