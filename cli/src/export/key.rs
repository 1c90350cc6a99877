//! Keyed digests of message ids. They join the events of a message without its id, which can contain a phone number.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::private;

/// File of the key in the data folder.
pub(super) const FILE: &str = "export-key";
const KEY_BYTES: usize = 32;
/// Bytes of a digest: two of a billion ids are the same with a probability of 10⁻²¹.
const DIGEST_BYTES: usize = 16;

/// Creates digests of message ids. Without the key, a digest tells nothing; with it, all phone numbers could be
/// tried. So the key stays in the data folder, apart from the exported files.
pub(super) struct MessageKey(Hmac<Sha256>);

impl MessageKey {
    /// The key of a data folder. The first export creates it.
    ///
    /// # Errors
    /// If the file is damaged or cannot be written.
    pub(super) fn of_folder(data: &Path) -> anyhow::Result<Self> {
        let file = data.join(FILE);
        let bytes = match fs::read_to_string(&file) {
            Ok(text) => hex::decode(text.trim()).ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(private::new_key(&file)?),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
        };
        let bytes = bytes.unwrap_or_default();
        ensure!(bytes.len() == KEY_BYTES, "{} is damaged", file.display());
        Ok(Self(
            Hmac::new_from_slice(&bytes).context("the key has an invalid length")?,
        ))
    }

    /// The digest of a message id, hex.
    pub(super) fn of(&self, id: &str) -> String {
        let digest = self.0.clone().chain_update(id).finalize().into_bytes();
        hex::encode(digest.get(..DIGEST_BYTES).unwrap_or(&digest))
    }

    #[cfg(test)]
    pub(super) fn in_test() -> Self {
        Self(Hmac::new_from_slice(&[7; KEY_BYTES]).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let digest = MessageKey::of_folder(folder.path()).unwrap().of("m-1");
        assert_eq!(digest.len(), 32);
        assert_eq!(MessageKey::of_folder(folder.path()).unwrap().of("m-1"), digest);
        assert_ne!(MessageKey::of_folder(folder.path()).unwrap().of("m-2"), digest);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(MessageKey::of_folder(other.path()).unwrap().of("m-1"), digest);
        fs::write(folder.path().join(FILE), "x").unwrap();
        assert!(MessageKey::of_folder(folder.path()).is_err());
    }
}
