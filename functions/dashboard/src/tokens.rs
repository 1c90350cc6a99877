//! Encrypted message ids. Viewers use them instead of ids, because ids contain phone numbers.
//!
//! A token is the id, encrypted and authenticated with AES-256-GCM. The nonce is a keyed digest of the id, so
//! an id always has the same token, and the page can distinguish messages.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;
use webhook_ingest::event::MessageId;

/// Prefix of every token.
const PREFIX: &str = "~";

/// Whether a text has the form of a token. It can still be invalid.
pub(crate) fn is_token(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Creates and decrypts tokens.
pub(crate) struct TokenCipher {
    cipher: LessSafeKey,
    nonces: Hmac<Sha256>,
}

impl TokenCipher {
    /// Takes two independent keys of 32 bytes; `None` if they have another length.
    pub(crate) fn new(cipher: &[u8], nonces: &[u8]) -> Option<Self> {
        Some(Self {
            cipher: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, cipher).ok()?),
            nonces: Hmac::new_from_slice(nonces).ok()?,
        })
    }

    /// The token of an id; `None` if the text is too long for an id.
    pub(crate) fn encrypt(&self, id: &str) -> Option<String> {
        if id.len() > MessageId::MAX_BYTES {
            return None;
        }
        let digest = self.nonces.clone().chain_update(id).finalize().into_bytes();
        let nonce: [u8; NONCE_LEN] = digest.get(..NONCE_LEN)?.try_into().ok()?;
        let mut sealed = id.as_bytes().to_vec();
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .ok()?;
        Some(format!(
            "{PREFIX}{}",
            URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
        ))
    }

    /// The id of a token; `None` if the token is invalid. Safe on untrusted input.
    pub(crate) fn decrypt(&self, token: &str) -> Option<String> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let id = self.cipher.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        String::from_utf8(id.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_decrypted_only_with_its_key() {
        let seal = TokenCipher::new(&[1; 32], &[2; 32]).unwrap();
        let id = "api-337-919812345678-x";
        let token = seal.encrypt(id).unwrap();
        assert_eq!(seal.decrypt(&token).as_deref(), Some(id));
        assert_eq!(seal.encrypt(id).unwrap(), token);
        assert_ne!(seal.encrypt("api-337-919812345679-x").unwrap(), token);
        assert!(
            TokenCipher::new(&[3; 32], &[2; 32])
                .unwrap()
                .decrypt(&token)
                .is_none()
        );
        for place in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last character has bits that say nothing, which the decoder refuses.
            assert_eq!(seal.decrypt(&forged), None, "{forged}");
        }
        for other in ["", "~", "~AAAA", id, "~~", "é"] {
            assert_eq!(seal.decrypt(other), None, "{other}");
        }
        assert_eq!(seal.encrypt(&"x".repeat(2049)), None);
        assert!(TokenCipher::new(&[1; 31], &[2; 32]).is_none());
    }
}
