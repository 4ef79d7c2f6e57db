//! `client system|own URL`: prints what the URL answers. `own` trusts the authorities that it was
//! built with, `system` those of the machine, and of SSL_CERT_FILE.
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};

fn main() -> Result<(), ureq::Error> {
    let given: Vec<String> = std::env::args().collect();
    let roots = match given[1].as_str() {
        "own" => RootCerts::WebPki,
        _ => RootCerts::PlatformVerifier,
    };
    let agent = ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build()
        .new_agent();
    print!("{}", agent.get(&given[2]).call()?.body_mut().read_to_string()?);
    Ok(())
}
