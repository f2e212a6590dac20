//! Memory for the adapter of WASI preview 1, in modules that set some aside.
//!
//! The adapter needs two pages of the module's memory before anything of the module has run, so it cannot ask an allocator
//! for them. It can grow the memory instead, but not that of a module which takes all memory behind its data for its own, as
//! Go's does: each would write over what belongs to the other. Such a module sets memory aside, in a variable that begins with
//! [`MARK`], and packing adds the function that gives it to the adapter, `cabi_realloc_adapter`.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg, Module,
    TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, Data, DataKind, ExportSectionReader, FunctionBody, FunctionSectionReader, ImportSectionReader,
    Operator, Parser, TypeRef, TypeSectionReader,
};

/// What the variable begins with. `host/authoring/templates/go/wit/runtime.go` has it as well.
const MARK: &[u8; 32] = b"kiln/memory-of-the-wasi-adapter/";

/// Bytes of the variable, all of them 0 behind the mark: what the adapter takes, and a little to align it.
const SIZE: u32 = 2 * 65536 + 64;

/// What wit-component looks for.
const REALLOC: &str = "cabi_realloc_adapter";

/// Where the variable is, if this initialises it.
pub(super) fn memory_in(data: &Data<'_>) -> Option<u32> {
    let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else { return None };
    let Ok(Operator::I32Const { value }) = offset_expr.get_operators_reader().read() else { return None };
    let at = data.data.windows(MARK.len()).position(|window| window == MARK)?;
    let address = value.cast_unsigned().checked_add(u32::try_from(at).ok()?)?;
    address.checked_add(SIZE).map(|_end| address)
}

/// The module, with a function that gives the adapter the memory at `address`.
pub(super) fn hand_over(address: u32, module: &[u8]) -> Result<Vec<u8>, Error> {
    let mut addition = Addition { address, signature: 0, imported: 0, function: 0 };
    let mut extended = Module::new();
    addition.parse_core_module(&mut extended, Parser::new(0), module)?;
    Ok(extended.finish())
}

/// Copies a module and adds a function to it, behind all others, so that no index changes.
struct Addition {
    address: u32,
    /// Index of the type of the function.
    signature: u32,
    imported: u32,
    /// Index of the function.
    function: u32,
}

impl Reencode for Addition {
    type Error = Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        self.signature = types.len();
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        for import in section.clone().into_imports() {
            self.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
        }
        utils::parse_import_section(self, imports, section)
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        self.function = self.imported + functions.len();
        functions.function(self.signature);
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(REALLOC, ExportKind::Func, self.function);
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&realloc(self.address));
        Ok(())
    }

    /// As it is: there are thousands.
    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), Error> {
        code.raw(body.as_bytes());
        Ok(())
    }
}

/// Gives out memory once and takes none back; whoever wants more than there is, or other memory enlarged, traps.
fn realloc(address: u32) -> Function {
    let [old, _old_size, alignment, new_size, given] = [0, 1, 2, 3, 4];
    const MARK_BYTES: u32 = MARK.len() as u32;
    // The number of bytes given out is kept behind the mark.
    let taken = MemArg { offset: u64::from(address + MARK_BYTES), align: 2, memory_index: 0 };
    let first = address + MARK_BYTES + 4;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(old);
    code.local_get(new_size).i32_const(SIZE.cast_signed()).i32_gt_u().i32_or();
    code.if_(BlockType::Empty).unreachable().end();
    // given = (first + taken + alignment - 1) & -alignment
    code.i32_const(0).i32_load(taken).i32_const(first.cast_signed()).i32_add();
    code.local_get(alignment).i32_add().i32_const(1).i32_sub();
    code.i32_const(0).local_get(alignment).i32_sub().i32_and().local_tee(given);
    code.local_get(new_size).i32_add().i32_const((address + SIZE).cast_signed()).i32_gt_u();
    code.if_(BlockType::Empty).unreachable().end();
    // taken = given + new_size - first
    code.i32_const(0);
    code.local_get(given).local_get(new_size).i32_add().i32_const(first.cast_signed()).i32_sub();
    code.i32_store(taken);
    code.local_get(given).end();
    function
}
