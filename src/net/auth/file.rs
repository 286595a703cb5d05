//! What stands in a file, read again when it changes.
//!
//! What was once understood stays in force until something else is: neither a half-written file
//! nor one that is gone for a moment locks everyone out, or lets anyone in.

use std::error::Error;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

use crate::net::auth::tokens::TokensFault;

/// How often a file is looked at, at most: an operator who changes it does not wait long, and a
/// crowd of handshakes does not ask the file system each time.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The largest file that is read: far above any list of keys or tokens that is meant.
const FILE_SIZE_MAX: u64 = 4 << 20;

/// The file of a check cannot be used.
#[derive(Debug)]
pub struct FileError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub fault: FileFault,
}

/// Why the file of a check cannot be used; nothing of its content is repeated.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFault {
    /// It cannot be read.
    Io(io::Error),
    /// It is larger than this many bytes.
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// A line is no token.
    Tokens(TokensFault),
    /// There is no key in it that could be used.
    #[cfg(feature = "jwt")]
    Key(crate::net::auth::jwt::KeyFault),
}

/// A file's content, as `parse` understood it.
#[derive(Clone)]
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: fn(&[u8]) -> Result<T, FileFault>,
    value: T,
    /// Of the file that was read last, whether or not it was understood.
    stamp: Option<Stamp>,
    looked: Instant,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    /// A file that takes the place of another may be as old and as long.
    inode: u64,
}

impl<T> Watched<T> {
    /// Reads the file for the first time.
    pub(super) fn open(
        path: &Path,
        parse: fn(&[u8]) -> Result<T, FileFault>,
    ) -> Result<Self, FileError> {
        let read = read(path).and_then(|(bytes, stamp)| Ok((parse(&bytes)?, stamp)));
        let (value, stamp) = read.map_err(|fault| FileError {
            path: path.to_owned(),
            fault,
        })?;
        Ok(Self {
            path: path.to_owned(),
            parse,
            value,
            stamp: Some(stamp),
            looked: Instant::now(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in the file.
    pub(super) fn current(&mut self) -> &mut T {
        if self.looked.elapsed() >= LOOK_INTERVAL {
            self.look();
            self.looked = Instant::now();
        }
        &mut self.value
    }

    /// Reads the file again, if it is not the one that was read last.
    fn look(&mut self) {
        let stamp = std::fs::metadata(&self.path).map(|metadata| Stamp::new(&metadata));
        // Complained about once, and not once a second.
        if stamp.as_ref().ok() == self.stamp.as_ref() {
            return;
        }
        self.stamp = stamp.ok();
        let path = self.path.display();
        match read(&self.path).and_then(|(bytes, stamp)| Ok(((self.parse)(&bytes)?, stamp))) {
            Ok((value, stamp)) => {
                self.value = value;
                self.stamp = Some(stamp);
                info!(target: "openline", file = %path, "read again");
            }
            Err(error) => {
                warn!(target: "openline", file = %path, %error, "stays as it was");
            }
        }
    }
}

impl Stamp {
    fn new(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            size: metadata.len(),
            inode: inode(metadata),
        }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn read(path: &Path) -> Result<(Vec<u8>, Stamp), FileFault> {
    let file = File::open(path).map_err(FileFault::Io)?;
    let stamp = file.metadata().map_err(FileFault::Io)?;
    let mut bytes = Vec::new();
    file.take(FILE_SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(FileFault::Io)?;
    match bytes.len() as u64 > FILE_SIZE_MAX {
        true => Err(FileFault::TooLarge { max: FILE_SIZE_MAX }),
        false => Ok((bytes, Stamp::new(&stamp))),
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.fault)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.fault)
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLarge { max } => write!(f, "it is larger than {max} bytes"),
            Self::Tokens(fault) => fault.fmt(f),
            #[cfg(feature = "jwt")]
            Self::Key(fault) => fault.fmt(f),
        }
    }
}

impl Error for FileFault {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{FileFault, LOOK_INTERVAL, Watched};

    /// A file that is gone when the test is over.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let name = format!("openline-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn parse(bytes: &[u8]) -> Result<u32, FileFault> {
        let text = std::str::from_utf8(bytes).ok();
        let number = text.and_then(|text| text.trim().parse().ok());
        number.ok_or(FileFault::TooLarge { max: 0 })
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_only_if_it_makes_sense() {
        let file = Temporary::new("watched");
        assert!(matches!(
            Watched::open(&file.0, parse).map_err(|error| error.fault),
            Err(FileFault::Io(_))
        ));
        fs::write(&file.0, "1").unwrap();
        let mut watched = Watched::open(&file.0, parse).unwrap();
        fs::write(&file.0, "22").unwrap();
        // Looked at a moment ago.
        assert_eq!(*watched.current(), 1);
        let mut later = || {
            watched.looked -= LOOK_INTERVAL;
            *watched.current()
        };
        assert_eq!(later(), 22);
        fs::write(&file.0, "nonsense").unwrap();
        assert_eq!(later(), 22);
        fs::remove_file(&file.0).unwrap();
        assert_eq!(later(), 22);
        fs::write(&file.0, "333").unwrap();
        assert_eq!(later(), 333);
    }
}
