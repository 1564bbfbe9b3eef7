//! The command line.

use std::path::PathBuf;

use mqtt_tokio::Endpoint;
use mqtt_tokio::transport::Tls;
use pico_args::Arguments;

use crate::kinds::Kind;
use crate::site::Result;

const USAGE: &str = "\
mqtt-interop --broker URL [options]

  --broker URL       where it listens for TCP: mqtt://user:password@host:port
  --broker-5 URL     where it does so for 5.0, if that is elsewhere
  --kind NAME        what it is, for what is known of it (any)
  --tls URL          where it listens for TLS, and so on
  --mutual-tls URL
  --ws URL
  --wss URL
  --authority FILE   the certificate that TLS is to trust, in PEM
  --identity FILE    the client's certificate and key for mutual TLS, in PEM
  --only WORDS       only the scenarios that have these words in their name
  --restarts         waits for the broker to be restarted, and tries what outlives that
";

/// What one run is told.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) kind: &'static Kind,
    pub(crate) tcp: String,
    pub(crate) fifth: Option<String>,
    pub(crate) tls: Option<String>,
    pub(crate) mutual_tls: Option<String>,
    pub(crate) ws: Option<String>,
    pub(crate) wss: Option<String>,
    /// Without a certificate of the client's, and with it.
    pub(crate) trust: Option<[Tls; 2]>,
    pub(crate) restarts: bool,
    only: Option<String>,
}

impl Options {
    pub(crate) fn take() -> Result<Self> {
        let mut args = Arguments::from_env();
        if args.contains("--help") {
            return Err(USAGE.into());
        }
        let kind: Option<String> = args.opt_value_from_str("--kind")?;
        let kind = kind.as_deref().unwrap_or("any");
        let authority: Option<PathBuf> = args.opt_value_from_str("--authority")?;
        let identity: Option<PathBuf> = args.opt_value_from_str("--identity")?;
        let options = Self {
            kind: Kind::named(kind).ok_or_else(|| format!("no kind of broker is named {kind}"))?,
            tcp: args.value_from_str("--broker")?,
            fifth: args.opt_value_from_str("--broker-5")?,
            tls: args.opt_value_from_str("--tls")?,
            mutual_tls: args.opt_value_from_str("--mutual-tls")?,
            ws: args.opt_value_from_str("--ws")?,
            wss: args.opt_value_from_str("--wss")?,
            trust: authority.map(|file| trust(file, identity)).transpose()?,
            restarts: args.contains("--restarts"),
            only: args.opt_value_from_str("--only")?,
        };
        let left = args.finish();
        if !left.is_empty() {
            return Err(format!("not understood: {left:?}\n\n{USAGE}").into());
        }
        for url in options.urls() {
            Endpoint::parse(url)?;
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    fn urls(&self) -> impl Iterator<Item = &String> {
        let layered = [
            &self.fifth,
            &self.tls,
            &self.mutual_tls,
            &self.ws,
            &self.wss,
        ];
        std::iter::once(&self.tcp).chain(layered.into_iter().flatten())
    }
}

fn trust(authority: PathBuf, identity: Option<PathBuf>) -> Result<[Tls; 2]> {
    let authority = std::fs::read(authority)?;
    let without = Tls::builder().authority_pem(authority.as_slice());
    let mut with = Tls::builder().authority_pem(authority.as_slice());
    if let Some(file) = identity {
        let pem = std::fs::read(file)?;
        with = with.client_certificate_pem(pem.as_slice(), pem.as_slice());
    }
    Ok([without.build()?, with.build()?])
}
