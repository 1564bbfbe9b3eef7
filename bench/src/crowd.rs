//! Many connections of one client's process.

use std::time::Duration;

use crate::Result;
use crate::case::Work;
use crate::job::{Begun, Job};
use crate::measure::resident;

/// Clients that are connected before memory is looked at, for what is made once for all.
pub(crate) const WARM: u64 = 16;
/// What is left after connecting is done by then.
const SETTLE: Duration = Duration::from_millis(500);

/// Connects so often, and closes each before the next, or keeps all and says what they hold.
pub(crate) async fn crowd<H, C, L>(
    job: &Job,
    connect: impl Fn(String) -> C,
    close: impl Fn(H) -> L,
) -> Result<()>
where
    C: Future<Output = Result<H>>,
    L: Future<Output = Result<()>>,
{
    let mut held = Vec::new();
    if job.work() == Work::Connect {
        let mut begun = job.begin()?;
        for at in 0..job.count {
            close(connect(format!("client-{at}")).await?).await?;
            begun.connected();
        }
        begun.end()?;
    } else {
        for at in 0..WARM {
            held.push(connect(format!("warm-{at}")).await?);
        }
        held.reserve(job.count as usize);
        smol::Timer::after(SETTLE).await;
        let before = resident()?;
        let mut begun = job.begin()?;
        for at in 0..job.count {
            held.push(connect(format!("client-{at}")).await?);
            begun.connected();
        }
        smol::Timer::after(SETTLE).await;
        begun.holds(resident()?.saturating_sub(before));
        begun.end()?;
    }
    // Keeps them until the process is told to end.
    std::future::pending::<()>().await;
    drop(held);
    Ok(())
}

/// Many clients that work at the same time. Each connects, and subscribes where it receives; then all are started, each with its share of the
/// messages, and are kept with what they come back with.
pub(crate) async fn together<H, C, J, K>(
    job: &Job,
    connect: impl Fn(String) -> C,
    start: impl Fn(H, Job) -> J,
) -> Result<()>
where
    C: Future<Output = Result<H>>,
    J: Future<Output = Result<(Begun, K)>>,
{
    let clients = job.row.crowd.ok_or("one client is no crowd")?;
    let mut ready = Vec::with_capacity(clients as usize);
    for at in 0..clients {
        ready.push(connect(format!("client-{at}")).await?);
    }
    let share = job.share();
    let mut begun = job.begin()?;
    let start = |client| start(client, share.clone());
    let at_work: Vec<J> = ready.into_iter().map(start).collect();
    let mut kept = Vec::with_capacity(at_work.len());
    for one in at_work {
        let (done, client) = one.await?;
        begun.add(&done);
        kept.push(client);
    }
    begun.end()?;
    // Keeps them until the process is told to end.
    std::future::pending::<()>().await;
    drop(kept);
    Ok(())
}
