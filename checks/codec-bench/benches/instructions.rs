//! Instructions under Valgrind, which do not depend on load: `cargo bench -p codec-bench --bench instructions`.
//!
//! Each figure is for a whole buffer: 1000 packets, or 64 large ones. `ci/instructions` compares ours with those on record. Needs `valgrind`, and `cargo install gungraun-runner` in the version of the dependency.

use std::hint::black_box;

use codec_bench::case::Case;
use codec_bench::decode::{self, Decode};
use codec_bench::encode::{self, Encode};
use codec_bench::rivals::{Mqttbytes, Ntex, ProtocolCore, ProtocolCoreSlices, Rmqtt, Rumqttc};
use gungraun::main;
use gungraun::prelude::*;

const SMALL: Case = Case {
    payload: 64,
    properties: false,
};
const SMALL_WITH_PROPERTIES: Case = Case {
    payload: 64,
    properties: true,
};
const LARGE: Case = Case {
    payload: 16 * 1024,
    properties: false,
};

fn input<D: Decode>(case: Case) -> D::Input {
    D::input(&case.stream())
}

/// An output that has served before, and the packets.
fn warm<E: Encode>(case: Case) -> (E::Packets, E::Output, usize) {
    let mut output = E::output();
    E::encode(&mut E::packets(case), case.packets(), &mut output);
    E::clear(&mut output);
    (E::packets(case), output, case.packets())
}

macro_rules! decode {
    ($($name:ident: $codec:ty;)*) => {$(
        #[library_benchmark]
        #[bench::small(args = (SMALL), setup = input::<$codec>)]
        #[bench::small_with_properties(args = (SMALL_WITH_PROPERTIES), setup = input::<$codec>)]
        #[bench::large(args = (LARGE), setup = input::<$codec>)]
        fn $name(mut input: <$codec as Decode>::Input) -> <$codec as Decode>::Input {
            black_box(<$codec as Decode>::decode(&mut input));
            input
        }
    )*};
}

decode! {
    decode_ours: decode::Ours;
    decode_floor: decode::Floor;
    decode_handle_floor: decode::HandleFloor;
    decode_rumqttc: Rumqttc;
    decode_mqttbytes: Mqttbytes;
    decode_mqtt_protocol_core: ProtocolCore;
    decode_rmqtt_codec: Rmqtt;
    decode_ntex_mqtt: Ntex;
}

macro_rules! encode {
    ($($name:ident: $codec:ty;)*) => {$(
        #[library_benchmark]
        #[bench::small(args = (SMALL), setup = warm::<$codec>)]
        #[bench::small_with_properties(args = (SMALL_WITH_PROPERTIES), setup = warm::<$codec>)]
        #[bench::large(args = (LARGE), setup = warm::<$codec>)]
        fn $name(
            (mut packets, mut output, count): (<$codec as Encode>::Packets, <$codec as Encode>::Output, usize),
        ) -> (<$codec as Encode>::Packets, <$codec as Encode>::Output) {
            <$codec as Encode>::encode(&mut packets, count, &mut output);
            (packets, output)
        }
    )*};
}

encode! {
    encode_ours: encode::Ours;
    encode_floor: encode::Floor;
    encode_rumqttc: Rumqttc;
    encode_mqttbytes: Mqttbytes;
    encode_mqtt_protocol_core: ProtocolCore;
    encode_mqtt_protocol_core_slices: ProtocolCoreSlices;
    encode_rmqtt_codec: Rmqtt;
    encode_ntex_mqtt: Ntex;
}

library_benchmark_group!(
    name = decoding,
    benchmarks = [
        decode_ours,
        decode_floor,
        decode_handle_floor,
        decode_rumqttc,
        decode_mqttbytes,
        decode_mqtt_protocol_core,
        decode_rmqtt_codec,
        decode_ntex_mqtt
    ]
);
library_benchmark_group!(
    name = encoding,
    benchmarks = [
        encode_ours,
        encode_floor,
        encode_rumqttc,
        encode_mqttbytes,
        encode_mqtt_protocol_core,
        encode_mqtt_protocol_core_slices,
        encode_rmqtt_codec,
        encode_ntex_mqtt
    ]
);
main!(library_benchmark_groups = [decoding, encoding]);
