//! The certificate that browsers are shown, in two files that somebody else renews.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use swift_p2p::transport::{OperatorTls, TlsError};

use crate::config::CertificateFiles;

/// Longer than a chain or a key is.
const PEM_LEN_MAX: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source} (see --tls-cert and --tls-key)", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What the files hold does not serve.
    #[error(
        "the certificate {} and the key {} cannot be used: {error}; both are to be PEM, the key a P-256 or RSA one, and \
         that of the first certificate", .files.chain.display(), .files.key.display()
    )]
    Tls {
        /// Which.
        files: CertificateFiles,
        /// Why.
        error: TlsError,
    },
}

/// A certificate in use, and where it came from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: CertificateFiles,
    tls: OperatorTls,
}

impl Certificate {
    pub(super) fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let (chain, key) = read_both(&files)?;
        match OperatorTls::new(&chain, &key) {
            Ok(tls) => Ok(Self { files, tls }),
            Err(error) => Err(CertificateError::Tls { files, error }),
        }
    }

    /// What the port shows.
    pub(super) fn tls(&self) -> OperatorTls {
        self.tls.clone()
    }

    /// Takes what the files hold now.
    pub(super) fn reload(&self) -> Result<(), CertificateError> {
        let (chain, key) = read_both(&self.files)?;
        self.tls
            .replace(&chain, &key)
            .map_err(|error| CertificateError::Tls { files: self.files.clone(), error })
    }
}

fn read_both(files: &CertificateFiles) -> Result<(String, String), CertificateError> {
    Ok((read(&files.chain)?, read(&files.key)?))
}

fn read(path: &Path) -> Result<String, CertificateError> {
    let read = File::open(path).and_then(|file| {
        let mut text = String::new();
        file.take(PEM_LEN_MAX).read_to_string(&mut text)?;
        Ok(text)
    });
    read.map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}
