// Package runtime is what generated bindings need to pass memory to the host and back.
//
// Go's collector moves nothing, so memory that the host writes to or reads from has only to be kept: what the host asks for
// is pinned until the next call of the plugin begins.
//
// The collector is off. While the host asks for memory nothing of the host may be called, not even the clock that the
// collector reads, and Go cannot be told to wait with it. What garbage there is ends with the instance, which Kiln starts
// afresh before its memory is used up; what it has put into its state is still there.
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

var (
	arrived  runtime.Pinner
	switched bool
)

// Unpin lets go of what the host has passed; what of it is in use is kept by being used. Every call of the plugin begins
// with it.
func Unpin() {
	if !switched {
		switched = true
		debug.SetGCPercent(-1)
	}
	arrived.Unpin()
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	grown := Allocate(&arrived, size, align)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(grown), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return grown
}
