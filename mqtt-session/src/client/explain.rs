use std::error::Error;
use std::fmt;
use std::string::ToString;

/// What `{:?}` shows of an error with which a `main` may end: its text, and that of each cause which is not in it.
///
/// For adapters, whose own errors are to be shown as those of [`client`](crate::client) are. Those show their structure by `{:#?}`.
///
/// # Errors
///
/// Those of `f`.
pub fn explain(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut said = error.to_string();
    f.write_str(&said)?;
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.contains(&words) {
            write!(f, "\nbecause: {words}")?;
            said.push_str(&words);
        }
        cause = error.source();
    }
    Ok(())
}
