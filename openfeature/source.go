package openfeature

import (
	"embed"
	"io/fs"
)

//go:embed cache.go evaluate.go provider.go stream.go
var source embed.FS

// Source is the provider's own source: Go files at the root, which import
// nothing but the OpenFeature SDK. "serin init" copies them into an app, so
// that the app needs no module of serin's.
func Source() fs.FS { return source }
