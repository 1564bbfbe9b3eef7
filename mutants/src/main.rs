//! Puts every mutant of a tree into it at once: `a + b` becomes `(if mutant(7) { a - b } else { a + b })`. One build then serves them
//! all, and the variable `MUTANT` wakes one.
//!
//! `weave TREE LIST SKIP`: LIST is what `cargo mutants --list --json` wrote, and the mutants are numbered from 1 in its order.
//! SKIP names in each line a mutant that does not compile, by number, or a function that has to stay `const`, by name.
//! What became of each is printed: its number, and `woven` or why not.

mod mutants;
mod weave;

use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

use mutants::{Mutant, Skip};

/// Appended to the codec's root, which both crates see.
const SWITCH: &str = include_str!("switch.rs");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [tree, list, skip] = arguments.as_slice() else {
        return Err("usage: weave TREE LIST SKIP".into());
    };
    let mut files: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    let list = mutants::read(&fs::read_to_string(list)?)?;
    let skip = Skip::read(&fs::read_to_string(skip)?);
    let count = list.len();
    for mutant in list {
        files.entry(mutant.file.clone()).or_default().push(mutant);
    }
    for package in ["mqtt-proto", "mqtt-session"] {
        for path in sources(&Path::new(tree).join(package).join("src"))? {
            let name = path.strip_prefix(tree)?.to_string_lossy().into_owned();
            let mutants = files.remove(&name).unwrap_or_default();
            let source = fs::read_to_string(&path)?;
            let mut woven = weave::weave(&source, &mutants, &skip)
                .map_err(|error| format!("{name}: {error}"))?;
            if name == "mqtt-proto/src/lib.rs" {
                woven.push_str(&SWITCH.replace("COUNT", &(count + 1).to_string()));
            }
            fs::write(path, woven)?;
        }
    }
    if let Some((name, _)) = files.pop_first() {
        return Err(format!("{name} has mutants and is not in the tree").into());
    }
    Ok(())
}

fn sources(folder: &Path) -> Result<Vec<std::path::PathBuf>, std::io::Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
