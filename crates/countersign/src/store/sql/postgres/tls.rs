//! TLS to PostgreSQL, with the checks that `sslmode` asks for.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::ConfigError;
use crate::net::tls_fault::is_authority;
use crate::store::sql::postgres::url::{Check, Parsed, refused};

/// Returns the TLS connector for a URL, or `None` if the URL turns TLS off.
pub(super) fn connector(url: &Parsed) -> Result<Option<MakeRustlsConnect>, ConfigError> {
    if url.config.get_ssl_mode() == SslMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut named = Vec::new();
    let authority = match url.check {
        Check::Nothing => None,
        Check::Authority | Check::AuthorityAndHost => {
            let roots = roots(url, &mut named)?;
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(verifier.build().map_err(|_| {
                refused("requires certificate checks, but no certificate authority is known")
            })?)
        }
    };

    let host = url.check == Check::AuthorityAndHost;
    let verifier = Verifier {
        authority,
        named,
        host,
        provider: Arc::clone(&provider),
    };

    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| refused("requires TLS, but no TLS version is enabled"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

/// Returns the trusted authorities. Certificates that the URL names are added to `named` too.
fn roots(
    url: &Parsed,
    named: &mut Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &url.authorities {
        let unreadable =
            || refused("has an `sslrootcert` that is not a readable file of PEM certificates");
        for certificate in CertificateDer::pem_file_iter(path).map_err(|_| unreadable())? {
            let certificate = certificate.map_err(|_| unreadable())?;
            named.push(certificate.clone());
            roots.add(certificate).map_err(|_| unreadable())?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }

    Ok(roots)
}

/// A verifier that checks as much of a certificate as the URL asks for.
///
/// If nothing is to be checked, the certificate isn't even parsed, so it may be of any kind.
/// Otherwise the server must also prove that it has the certificate's key.
#[derive(Debug)]
struct Verifier {
    /// The check against authorities, `None` if nothing is checked.
    authority: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates in the file that the URL names.
    named: Vec<CertificateDer<'static>>,
    /// `true` if the certificate must be for the host.
    host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };

        match authority.verify_server_cert(certificate, intermediates, host, ocsp, now) {
            // The name is checked last, so everything else was found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.host => Ok(ServerCertVerified::assertion()),
            // A server may present the very certificate that was named as trusted, even an
            // authority's own. Its validity period was checked before this error was found.
            Err(Error::InvalidCertificate(fault))
                if is_authority(&fault) && self.named.contains(certificate) =>
            {
                if self.host {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, host)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.authority.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.authority.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
