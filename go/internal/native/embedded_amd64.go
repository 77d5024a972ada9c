//go:build linux && !pay88_none && !pay88_system

package native

import "embed"

//go:embed lib/linux_amd64
var embedded embed.FS

const embeddedName = "lib/linux_amd64/" + Soname
