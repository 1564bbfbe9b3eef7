/// CRC-32C (Castagnoli), as iSCSI and ext4 have it.
pub(super) const fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    let mut at = 0;
    while at < bytes.len() {
        crc = TABLE[((crc ^ bytes[at] as u32) & 0xFF) as usize] ^ (crc >> 8);
        at += 1;
    }
    !crc
}

const POLYNOMIAL: u32 = 0x82F6_3B78;

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn the_check_sum_is_that_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }
}
