//! Every case: those that the crate carries, or those of a folder.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::conformance::case::{Case, Group};
use crate::conformance::error::VectorsError;
use crate::conformance::read::read;

/// Cases in their order, and the groups that they stand in.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    groups: Vec<Group>,
    cases: Vec<Case>,
}

impl Vectors {
    /// The cases that the crate carries, from its own `vectors/`.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Vectors> = LazyLock::new(|| {
            Vectors::parse(FILES.iter().copied()).expect("the crate's own files are tested")
        });
        &EMBEDDED
    }

    /// Reads files: their names, which only errors mention, and their texts.
    ///
    /// # Errors
    ///
    /// What the first file says that cannot be understood.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, VectorsError> {
        let mut vectors = Self::default();
        for (name, text) in files {
            read(name, text, &mut vectors.groups, &mut vectors.cases)?;
        }
        // Autobahn's cases are known by their place, too: the order of their numbers.
        vectors.cases.sort_by_key(|case| match numbers(&case.id) {
            Some(numbers) => (0, numbers),
            None => (1, Vec::new()),
        });
        Ok(vectors)
    }

    /// Reads every `.kdl` file of a folder and of its folders, by their names' order.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and a folder or file that cannot be read.
    pub fn read_folder(folder: &Path) -> Result<Self, VectorsError> {
        let mut files = Vec::new();
        gather(folder, &mut files).map_err(|error| VectorsError {
            file: folder.display().to_string(),
            place: None,
            what: error.to_string(),
            help: "name a folder of vectors that can be read".to_owned(),
        })?;
        if files.is_empty() {
            return Err(VectorsError {
                file: folder.display().to_string(),
                place: None,
                what: "there is no .kdl file".to_owned(),
                help: "name a folder of vectors, such as the repository's vectors/".to_owned(),
            });
        }
        let files = files.iter().map(|(name, text)| (&**name, &**text));
        Self::parse(files)
    }

    /// Every case, in its order.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The case of this id.
    #[must_use]
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// Every family and group, in its order.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

/// The numbers of an id such as `6.12.3`.
fn numbers(id: &str) -> Option<Vec<u32>> {
    id.split('.').map(|number| number.parse().ok()).collect()
}

fn gather(folder: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "kdl") {
            files.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The files of `vectors/`, by their names' order.
macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../vectors/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files! {
    "autobahn/01-framing.kdl"
    "autobahn/02-pings.kdl"
    "autobahn/03-reserved-bits.kdl"
    "autobahn/04-opcodes.kdl"
    "autobahn/05-fragmentation.kdl"
    "autobahn/06-utf8.kdl"
    "autobahn/07-closing.kdl"
    "autobahn/09-limits.kdl"
    "autobahn/10-fragmenting.kdl"
    "autobahn/12-compression-data.kdl"
    "autobahn/13-compression-parameters.kdl"
    "closing/close.kdl"
    "compression/messages.kdl"
    "compression/negotiation.kdl"
    "frames/control.kdl"
    "frames/fragments.kdl"
    "frames/length.kdl"
    "frames/mask.kdl"
    "frames/reserved.kdl"
    "handshake/client.kdl"
    "handshake/server.kdl"
    "messages/utf8.kdl"
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FILES, Vectors};

    #[test]
    fn the_crate_carries_every_file_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
        let read = Vectors::read_folder(&folder).unwrap();
        let embedded = Vectors::embedded();
        assert_eq!(embedded.cases(), read.cases());
        assert_eq!(embedded.groups(), read.groups());
        assert!(FILES.is_sorted());
    }
}
