// The component: what Kiln calls is in the package export_wit_world, where the bindings look for it.
package main

import _ "orders/build/bindings/wit_exports"

func main() {}
