use alloc::boxed::Box;
use core::ops::Deref;

/// What most sessions leave as it is: then it costs a session no memory.
#[derive(Clone, Debug)]
pub(crate) struct Usual<T: 'static>(Option<Box<T>>);

pub(crate) trait HasUsual: Sized + PartialEq + 'static {
    const USUAL: &'static Self;
}

impl<T: HasUsual> Usual<T> {
    pub(super) fn new(value: T) -> Self {
        Self((value != *T::USUAL).then(|| Box::new(value)))
    }
}

impl<T: HasUsual> Deref for Usual<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::USUAL)
    }
}
