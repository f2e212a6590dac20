// Package runtime is what generated bindings need to pass memory to the host and back.
//
// Go's collector moves nothing, so memory that the host writes to or reads from has only to be kept: what the host asks for
// is pinned until the next call of the plugin begins.
//
// The collector does not start by itself. While the host asks for memory nothing of the host may be called, not even the
// clock that the collector reads, and Go cannot be told to wait with it. So it runs when a call begins, if there is garbage
// enough.
package runtime

import (
	"runtime"
	"runtime/debug"
	"unsafe"
)

// A Handle is something the host keeps for the plugin. Zero is none.
type Handle struct{ value int32 }

// MakeHandle is a handle the host has given.
func MakeHandle(value int32) *Handle {
	handle := &Handle{}
	handle.Set(value)
	return handle
}

// Use is the number of the handle, which stays the plugin's.
func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("the handle has been given away or dropped")
	}
	return h.value
}

// Take is the number of the handle, which is the plugin's no longer.
func (h *Handle) Take() int32 {
	value := h.Use()
	h.value = 0
	return value
}

// TakeOrNil is Take, or 0 if there is nothing to take.
func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}

// Set makes an empty handle one the host has given.
func (h *Handle) Set(value int32) {
	if value == 0 || h.value != 0 {
		panic("a handle is given once, and is not 0")
	}
	h.value = value
}

// Allocate is memory for the host to read or write, kept as long as the pinner says. Alignments are at most 8.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// Words are aligned for everything that can be passed, and hold no pointers of Go's.
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(memory)
	return memory
}

// Memory that packing gives to the adapter of WASI preview 1, which wants it before Go runs and must not have what is behind
// Go's data: all of that Go takes for its own. Packing finds it by how it begins.
var adapterMemory = [2<<16 + 64]byte{
	'k', 'i', 'l', 'n', '/', 'm', 'e', 'm', 'o', 'r', 'y', '-', 'o', 'f', '-', 't',
	'h', 'e', '-', 'w', 'a', 's', 'i', '-', 'a', 'd', 'a', 'p', 't', 'e', 'r', '/',
}

// So much there may be on the heap before the collector runs. Go's own bound is 4 MiB, which most plugins never hold.
const enough = 512 << 10

var (
	arrived runtime.Pinner
	heap    runtime.MemStats
	// Bytes on the heap that are worth a run of the collector.
	worth uint64 = enough
)

func init() {
	if adapterMemory[0] == 0 { // What nobody reads is not linked.
		panic("the memory of the adapter is not there")
	}
	debug.SetGCPercent(-1)
}

// Unpin lets go of what the host has passed; what of it is in use is kept by being used. Every call of the plugin begins
// with it.
func Unpin() {
	arrived.Unpin()
	runtime.ReadMemStats(&heap)
	if heap.HeapAlloc < worth {
		return
	}
	runtime.GC()
	runtime.ReadMemStats(&heap)
	worth = max(enough, 2*heap.HeapAlloc)
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	grown := Allocate(&arrived, size, align)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(grown), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return grown
}
