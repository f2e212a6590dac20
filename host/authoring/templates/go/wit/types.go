// Package types has the types of WIT that Go has no word for.
package types

// Unit is the value of a result that has none.
type Unit struct{}

// The cases of an Option.
const (
	OptionNone uint8 = iota
	OptionSome
)

// An Option is a value or none.
type Option[T any] struct {
	tag   uint8
	value T
}

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Some is this value.
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }

// Tag is the case.
func (o Option[T]) Tag() uint8 { return o.tag }

// IsSome tells whether there is a value.
func (o Option[T]) IsSome() bool { return o.tag == OptionSome }

// IsNone tells whether there is none.
func (o Option[T]) IsNone() bool { return o.tag == OptionNone }

// Some is the value; without one it panics.
func (o Option[T]) Some() T {
	if o.tag != OptionSome {
		panic("there is no value")
	}
	return o.value
}

// SomeOr is the value, or another without one.
func (o Option[T]) SomeOr(other T) T {
	if o.tag == OptionSome {
		return o.value
	}
	return other
}

// The cases of a Result.
const (
	ResultOk uint8 = iota
	ResultErr
)

// A Result is a value or an error.
type Result[T, E any] struct {
	tag   uint8
	value T
	err   E
}

// Ok is a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{tag: ResultOk, value: value} }

// Err is an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{tag: ResultErr, err: err} }

// Tag is the case.
func (r Result[T, E]) Tag() uint8 { return r.tag }

// IsOk tells whether it is a value.
func (r Result[T, E]) IsOk() bool { return r.tag == ResultOk }

// IsErr tells whether it is an error.
func (r Result[T, E]) IsErr() bool { return r.tag == ResultErr }

// Ok is the value; if there is an error it panics.
func (r Result[T, E]) Ok() T {
	if r.tag != ResultOk {
		panic("there is an error")
	}
	return r.value
}

// Err is the error; without one it panics.
func (r Result[T, E]) Err() E {
	if r.tag != ResultErr {
		panic("there is no error")
	}
	return r.err
}
