//! What a process has used, what the time is, and where it runs.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::Result;

/// Nanoseconds of a clock that all processes share.
pub(crate) fn now() -> Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(Duration::new(time.tv_sec() as u64, time.tv_nsec() as u32).as_nanos() as u64)
}

/// CPU time, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: u64,
    pub(crate) system: u64,
}

impl Cpu {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Of this process so far, all its threads.
pub(crate) fn cpu() -> Result<Cpu> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: TimeVal| time.num_microseconds() as u64;
    Ok(Cpu {
        user: micros(usage.user_time()),
        system: micros(usage.system_time()),
    })
}

/// From here on this process, and every thread that it starts, runs on this CPU alone.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| format!("CPU {cpu}: {error}"))?;
    Ok(())
}

/// The last of the CPUs that this process may use: interrupts tend to go to the first.
pub(crate) fn last_cpu() -> Result<usize> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let mut usable = (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false));
    Ok(usable.next_back().ok_or("no CPU")?)
}

/// Resident memory of this process, in bytes; on Linux.
pub(crate) fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no VmRSS")?.parse::<usize>()? * 1024)
}

/// Lets this process have so many descriptors, beside what it has anyway.
///
/// # Errors
///
/// It may not.
pub(crate) fn allow_descriptors(descriptors: u64) -> Result<()> {
    // Standard streams, and what a runtime has.
    let wanted = descriptors + 64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        let said = format!("{wanted} descriptors are needed, and {hard} allowed (ulimit -Hn)");
        return Err(said.into());
    }
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}
