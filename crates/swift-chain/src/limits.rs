//! Every size the ledger allows, in one place. All but those of mempool and outbox, which are each node's own, and of
//! receipts are rules of protocol version 1: changing one changes which blocks are valid.

/// The protocol this crate speaks; the only version of the rules it knows.
pub const PROTOCOL_VERSION: u16 = 1;

/// Bytes of one encoded signed transaction. A name of 1,024 bytes, an address and an invitation fit several times.
pub const TRANSACTION_LEN_MAX: usize = 4 * 1024;

/// Bytes of one encoded block without its certificate.
pub const BLOCK_LEN_MAX: usize = 1024 * 1024;

/// Transactions in one block.
pub const BLOCK_TRANSACTIONS_MAX: usize = 1000;

/// Validators of a network. Each one signs every block.
pub const VALIDATORS_MAX: usize = 128;

/// Weight of one validator, so that the sum of all can never overflow.
pub const VALIDATOR_WEIGHT_MAX: u32 = 1_000_000;

/// Bytes of one encoded certificate: a signature and a key for each of [`VALIDATORS_MAX`], and the header.
pub const CERTIFICATE_LEN_MAX: usize = 256 + VALIDATORS_MAX * 128;

/// Bytes of one encoded piece of evidence: at most two headers, two certificates and a validator set.
pub const EVIDENCE_LEN_MAX: usize = 2048 + 2 * CERTIFICATE_LEN_MAX + VALIDATORS_MAX * 64;

/// Bytes of one encoded genesis block.
pub const GENESIS_LEN_MAX: usize = 4 * 1024;

/// Bytes of the encoded changes in one frame of an imported state.
pub const SNAPSHOT_CHANGES_LEN_MAX: usize = 256 * 1024;

/// Bytes of one frame of an imported state: its changes and their number.
pub const SNAPSHOT_FRAME_LEN_MAX: usize = SNAPSHOT_CHANGES_LEN_MAX + 5;

/// Frames of an imported state: 256 GiB of it.
pub const SNAPSHOT_FRAMES_MAX: u32 = 1 << 20;

/// How far a transaction's sequence may be ahead of its author's last one. The bound keeps one stray transaction from
/// using up an author's whole range.
pub const SEQUENCE_GAP_MAX: u64 = 1 << 20;

/// Bytes of a file: 16 TiB.
pub const FILE_LEN_MAX: u64 = 16 << 40;

/// Bytes of a file name.
pub const NAME_LEN_MAX: usize = 1024;

/// Bytes of one part of a file name.
pub const NAME_PART_LEN_MAX: usize = 240;

/// Bytes of the label that says for which client a node signed a transaction.
pub const LABEL_LEN_MAX: usize = 64;

/// The latest time a block can carry, in milliseconds since 1970: some 285,000 years. Below it times can be added to
/// without overflow.
pub const TIME_MS_MAX: u64 = 1 << 53;

/// Bytes of a host name or IP address (RFC 1035, section 2.3.4).
pub const HOST_LEN_MAX: usize = 253;

/// Bytes of unconfirmed transactions a node keeps, all authors together.
pub const MEMPOOL_LEN_MAX: usize = 32 * 1024 * 1024;

/// Bytes of unconfirmed transactions a node keeps of one author.
pub const MEMPOOL_AUTHOR_LEN_MAX: usize = 4 * 1024 * 1024;

/// A node's own transactions that wait for a block.
pub const OUTBOX_ENTRIES_MAX: usize = 100_000;

/// Changes of the validator set that a receipt may lead through: one a day for eleven years.
pub const RECEIPT_CHANGES_MAX: usize = 4096;

/// Bytes of a receipt. A change among 7 validators takes about 1 KiB, so [`RECEIPT_CHANGES_MAX`] of them fit; of the
/// largest changes, among [`VALIDATORS_MAX`], some 980 do. It also bounds the time of a check: so many bytes hold at
/// most 175,000 signatures.
pub const RECEIPT_LEN_MAX: usize = 16 * 1024 * 1024;
