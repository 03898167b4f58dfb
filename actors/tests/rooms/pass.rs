//! A port of a store that hands its calls on to another one.

/// Hands calls of a port on to the store in that field.
macro_rules! pass {
    ($port:ident, $field:tt: $(fn $name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> $out {
            $port::$name(&self.$field, $($arg),*)
        })*
    };
}
