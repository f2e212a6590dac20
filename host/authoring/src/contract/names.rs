//! Types and functions in the words of WIT.

use wit_bindgen_core::wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner,
};

/// How a type is written where `here` is the interface around it; `None` in a world.
pub(super) fn type_name(resolve: &Resolve, here: Option<InterfaceId>, ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => defined(resolve, here, *id),
    }
}

fn defined(resolve: &Resolve, here: Option<InterfaceId>, id: TypeId) -> String {
    let Some(definition) = resolve.types.get(id) else { return "?".to_owned() };
    if let Some(name) = &definition.name {
        // A name that another interface is used for is that interface's.
        return match definition.kind {
            TypeDefKind::Type(Type::Id(original)) if is_use(resolve, definition, original) => {
                defined(resolve, here, original)
            }
            _ => match owner(resolve, definition) {
                Some((interface, owner)) if Some(interface) != here => format!("{owner}.{name}"),
                _ => name.clone(),
            },
        };
    }
    let of = |ty: &Type| type_name(resolve, here, ty);
    match &definition.kind {
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", of(ok)),
            (ok, Some(error)) => format!("result<{}, {}>", ok.as_ref().map_or("_".to_owned(), of), of(error)),
        },
        TypeDefKind::Handle(Handle::Own(id)) => defined(resolve, here, *id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", defined(resolve, here, *id)),
        TypeDefKind::Type(ty) => of(ty),
        other => other.as_str().to_owned(),
    }
}

/// Whether a name stands for one of another interface, as `use` makes it.
pub(super) fn is_use(resolve: &Resolve, definition: &TypeDef, original: TypeId) -> bool {
    resolve.types.get(original).is_some_and(|original| original.owner != definition.owner)
}

fn owner<'r>(resolve: &'r Resolve, definition: &TypeDef) -> Option<(InterfaceId, &'r str)> {
    let TypeOwner::Interface(id) = definition.owner else { return None };
    Some((id, resolve.interfaces.get(id)?.name.as_deref()?))
}

/// What stands behind the name of a function: `func(key: string) -> bool`. A method does not say what it is a method of.
pub(super) fn signature(resolve: &Resolve, here: Option<InterfaceId>, function: &Function) -> String {
    let is_method = matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
    let parameters = function.params.iter().skip(usize::from(is_method));
    let parameters =
        parameters.map(|parameter| format!("{}: {}", parameter.name, type_name(resolve, here, &parameter.ty)));
    let result = function.result.as_ref().map(|ty| format!(" -> {}", type_name(resolve, here, ty)));
    let kind = if function.kind.is_async() { "async func" } else { "func" };
    format!("{kind}({}){}", parameters.collect::<Vec<_>>().join(", "), result.unwrap_or_default())
}

/// The name of a function, with its resource in front: `body.read`.
pub(super) fn function_name(resolve: &Resolve, function: &Function) -> String {
    let resource = function.kind.resource().and_then(|id| resolve.types.get(id)?.name.as_deref());
    match resource {
        Some(resource) => format!("{resource}.{}", function.item_name()),
        None => function.name.clone(),
    }
}

/// The parts of a type that has a name: `record { key: string }`, on one line.
pub(super) fn definition(resolve: &Resolve, here: Option<InterfaceId>, definition: &TypeDef) -> String {
    let of = |ty: &Type| type_name(resolve, here, ty);
    let parts: Vec<String> = match &definition.kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| format!("{}: {}", field.name, of(&field.ty))).collect()
        }
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .map(|case| case.ty.as_ref().map_or(case.name.clone(), |ty| format!("{}({})", case.name, of(ty))))
            .collect(),
        TypeDefKind::Enum(choice) => choice.cases.iter().map(|case| case.name.clone()).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| flag.name.clone()).collect(),
        TypeDefKind::Resource => return "resource".to_owned(),
        TypeDefKind::Type(ty) => return format!("type = {}", of(ty)),
        // What has no name of its own kind is the name of something that has none.
        _ => return format!("type = {}", anonymous(resolve, here, definition)),
    };
    format!("{} {{ {} }}", definition.kind.as_str(), parts.join(", "))
}

fn anonymous(resolve: &Resolve, here: Option<InterfaceId>, definition: &TypeDef) -> String {
    let of = |ty: &Type| type_name(resolve, here, ty);
    match &definition.kind {
        TypeDefKind::Option(ty) => format!("option<{}>", of(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", of(ty)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(of).collect::<Vec<_>>().join(", ")),
        other => other.as_str().to_owned(),
    }
}
