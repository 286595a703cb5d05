//! Where code lies.

/// Says of the branch that it stands in that messages hardly ever take it, so that its code is laid
/// out of their way: after a system call each line of code is waited for.
#[cold]
#[inline]
pub(crate) fn rare() {}
