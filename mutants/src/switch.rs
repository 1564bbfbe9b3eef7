
extern crate self as mqtt_proto;

/// Which mutant is awake, and which ones a test came upon.
#[doc(hidden)]
pub mod switch {
    extern crate std;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::{env, fs, io::Write, sync::OnceLock};

    enum Use {
        Awake(u32),
        Record(fs::File),
    }

    static USE: OnceLock<Use> = OnceLock::new();
    static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

    /// Whether this mutant is awake.
    pub fn mutant(number: u32) -> bool {
        match USE.get_or_init(read) {
            Use::Awake(awake) => *awake == number,
            Use::Record(file) => {
                record(file, number);
                false
            }
        }
    }

    fn read() -> Use {
        match env::var("MUTANTS_SEEN") {
            Ok(path) => Use::Record(
                fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .expect("the record can be opened"),
            ),
            Err(_) => Use::Awake(
                env::var("MUTANT")
                    .ok()
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(0),
            ),
        }
    }

    // Without allocating: some tests count what is allocated.
    fn record(mut file: &fs::File, number: u32) {
        if !SEEN[number as usize].swap(true, Ordering::Relaxed) {
            let _ = file.write_all(&number.to_le_bytes());
        }
    }
}
