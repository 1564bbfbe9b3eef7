//! The client of this repository next to others, and to the least that can be done, in one run. `bench --help` says how; `README.md` says
//! what is measured.

mod arguments;
mod case;
mod clients;
mod counted;
mod crowd;
mod growth;
mod job;
mod measure;
mod parts;
mod peer;
mod plot;
mod process;
mod report;
mod rounds;
mod run;
mod saved;
mod scratch;
#[cfg(feature = "protocol-core")]
mod session;
mod wire;

use std::time::Duration;

use case::Against;
use job::Job;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// A process that neither does nor says anything for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        // The processes that the others start, which say why they fail.
        ["peer" | "client", ..] => work(&args).inspect_err(|error| println!("failed {error}")),
        ["--help" | "-h" | "help"] => {
            println!("{}", arguments::usage());
            Ok(())
        }
        #[cfg(feature = "protocol-core")]
        ["session-batches", name, what, qos, batches] => {
            session::batches(name, what, qos.parse()?, batches.parse()?)
        }
        ["plot", file] => plot::run(file.as_ref()),
        ["clients"] => {
            for client in clients::ALL {
                println!("{:28} {}", client.name, client.about);
            }
            Ok(())
        }
        _ => {
            for part in arguments::parse(&args)? {
                rounds::run(&part)?;
            }
            Ok(())
        }
    }
}

/// A process of a run.
fn work(args: &[&str]) -> Result<()> {
    match args[..] {
        ["peer", cpu, against, row, count, certificate] => {
            measure::pin(cpu.parse()?)?;
            peer::run(
                against.parse()?,
                row.parse()?,
                count.parse()?,
                certificate.as_ref(),
            )
        }
        ["client", cpu, name, against, row, count, certificate, port] => {
            measure::pin(cpu.parse()?)?;
            let client = clients::named(name)?;
            let against = against.parse()?;
            let job = Job {
                row: row.parse()?,
                count: count.parse()?,
                port: port.parse()?,
                against,
                certificate: match against {
                    Against::Tls => std::fs::read_to_string(certificate)?,
                    Against::Stub | Against::Mosquitto => String::new(),
                },
                certificate_file: certificate.into(),
            };
            if let Some(clients) = job.row.clients() {
                measure::allow_descriptors(u64::from(clients) * client.descriptors())?;
            }
            // The provider of all who speak TLS here.
            let _ = rustls::crypto::ring::default_provider().install_default();
            job::end_when_told();
            (client.run)(&job)?;
            // Until it is told to end.
            loop {
                std::thread::park();
            }
        }
        _ => Err("a peer or a client with other arguments".into()),
    }
}
