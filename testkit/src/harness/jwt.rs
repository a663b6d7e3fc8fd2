//! Tokens taken apart and put together again, to forge the ones that a server has to refuse.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

/// Header and claims of a token, and its signature as it came.
#[derive(Clone, Debug)]
pub struct Jwt {
    pub header: Value,
    pub claims: Value,
    pub signature: String,
}

/// Who signs a forged token.
pub enum Signer {
    /// Nobody: the third part is empty.
    Nobody,
    /// A P-256 key of the attacker's own.
    OwnKey,
    /// HMAC-SHA256 with something public as the secret.
    Hmac(Vec<u8>),
}

impl Jwt {
    pub fn parse(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            panic!("not three parts: {token}")
        };
        let decode = |part: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD
                .decode(part)
                .expect("a part is base64url");
            serde_json::from_slice(&bytes).expect("a part is JSON")
        };
        Self {
            header: decode(header),
            claims: decode(claims),
            signature: signature.to_owned(),
        }
    }

    /// The token with whatever signature it came with.
    pub fn with_old_signature(&self) -> String {
        format!("{}.{}", self.signed_part(), self.signature)
    }

    pub fn signed_by(&self, signer: &Signer) -> String {
        let signed = self.signed_part();
        let signature = match signer {
            Signer::Nobody => Vec::new(),
            Signer::OwnKey => {
                let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .expect("a key can be made");
                let signature = key
                    .sign(&SystemRandom::new(), signed.as_bytes())
                    .expect("a key can sign");
                signature.as_ref().to_vec()
            }
            Signer::Hmac(secret) => hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, secret),
                signed.as_bytes(),
            )
            .as_ref()
            .to_vec(),
        };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn signed_part(&self) -> String {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }
}
