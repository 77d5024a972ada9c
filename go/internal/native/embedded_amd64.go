//go:build linux && !pay88_none && !pay88_system

package native

import "embed"

// Not what an interrupted go/build.sh left.
//
//go:embed lib/linux_amd64/[Rl]*
var embedded embed.FS

const embeddedName = "lib/linux_amd64/" + Soname
