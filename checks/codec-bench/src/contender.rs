//! All codecs in one list, and how one of them is timed.

use std::time::{Duration, Instant};

use crate::case::Case;
use crate::decode::{self, Decode};
use crate::encode::{self, Encode};
use crate::rivals::{Mqttbytes, Ntex, ProtocolCore, ProtocolCoreSlices, Rmqtt, Rumqttc};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Ours,
    Rival,
    Floor,
}

#[derive(Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    pub role: Role,
    /// The time that so many packets take. Whole buffers of them are measured, so small numbers are extrapolated.
    pub run: fn(Case, u64) -> Duration,
}

pub fn decoders() -> Vec<Contender> {
    fn of<D: Decode>(role: Role) -> Contender {
        Contender {
            name: D::NAME,
            role,
            run: run_decode::<D>,
        }
    }
    vec![
        of::<decode::Ours>(Role::Ours),
        of::<decode::Floor>(Role::Floor),
        of::<decode::HandleFloor>(Role::Floor),
        of::<Rumqttc>(Role::Rival),
        of::<Mqttbytes>(Role::Rival),
        of::<ProtocolCore>(Role::Rival),
        of::<Rmqtt>(Role::Rival),
        of::<Ntex>(Role::Rival),
    ]
}

pub fn encoders() -> Vec<Contender> {
    fn of<E: Encode>(role: Role) -> Contender {
        Contender {
            name: E::NAME,
            role,
            run: run_encode::<E>,
        }
    }
    vec![
        of::<encode::Ours>(Role::Ours),
        of::<encode::Floor>(Role::Floor),
        of::<Rumqttc>(Role::Rival),
        of::<Mqttbytes>(Role::Rival),
        of::<ProtocolCore>(Role::Rival),
        of::<ProtocolCoreSlices>(Role::Rival),
        of::<Rmqtt>(Role::Rival),
        of::<Ntex>(Role::Rival),
    ]
}

impl Contender {
    /// Nanoseconds a packet, measured over about this time.
    pub fn sample(&self, case: Case, time: Duration) -> f64 {
        let some = 4 * case.packets() as u64;
        let first = per_packet((self.run)(case, some), some);
        let packets = (time.as_nanos() as f64 / first) as u64;
        per_packet((self.run)(case, packets), packets.max(1))
    }
}

fn per_packet(time: Duration, packets: u64) -> f64 {
    time.as_nanos() as f64 / packets as f64
}

fn run_decode<D: Decode>(case: Case, packets: u64) -> Duration {
    let stream = case.stream();
    in_buffers(case, packets, || {
        let mut input = D::input(&stream);
        let start = Instant::now();
        let count = D::decode(&mut input);
        let took = start.elapsed();
        assert_eq!(count, case.packets());
        took
    })
}

fn run_encode<E: Encode>(case: Case, packets: u64) -> Duration {
    let count = case.packets();
    let length = count * case.frame().len();
    let mut output = E::output();
    E::encode(&mut E::packets(case), count, &mut output);
    E::clear(&mut output);
    in_buffers(case, packets, || {
        let mut packets = E::packets(case);
        let start = Instant::now();
        E::encode(&mut packets, count, &mut output);
        let took = start.elapsed();
        assert_eq!(E::clear(&mut output), length);
        took
    })
}

fn in_buffers(case: Case, packets: u64, mut run: impl FnMut() -> Duration) -> Duration {
    let buffers = packets.div_ceil(case.packets() as u64).max(1);
    let took: Duration = (0..buffers).map(|_| run()).sum();
    took.mul_f64(packets as f64 / (buffers * case.packets() as u64) as f64)
}
