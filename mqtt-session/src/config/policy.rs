//! What to do where more than one thing would be right.

/// What becomes of messages in flight when the server has lost the session they belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionLost {
    /// Publish them anew, in their order, ahead of what was not sent yet. The server may get a message twice; its outcome says
    /// `republished`. Not a QoS 2 message whose PUBREC had come: the server had taken it over, and another one could come twice. It ends as
    /// acknowledged and not completed, which a `Delivery` counts as a success: where that is not enough, look at `completed`.
    #[default]
    Resend,
    /// End them with [`Outcome::SessionLost`](crate::Outcome::SessionLost).
    Fail,
}

/// What becomes of a message that connection after connection ends at: see [`Event::Poisonous`](crate::Event::Poisonous).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Poisonous {
    /// It is sent again on each further connection.
    #[default]
    Keep,
    /// It ends with [`Outcome::Poisonous`](crate::Outcome::Poisonous) after the third connection in a row. A QoS 2 message whose
    /// PUBREC had come ends as acknowledged and not completed.
    Fail,
}

/// What becomes of a QoS 0 message that is published while there is no connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offline {
    /// It waits in the queue, as QoS 1 and 2 always do.
    #[default]
    Queue,
    /// It is refused, and given back.
    Refuse,
}

/// What happens when received QoS 0 messages fill the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboxFull {
    /// Reading stops until the application has taken some, unless the session itself waits for something from the server; then
    /// the oldest are dropped, and counted.
    #[default]
    Pause,
    /// The oldest are dropped, and counted.
    DropOldest,
}

/// Whether what must survive a crash of the process comes out as [`Record`](crate::Record)s, and what waits for them to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// There are no records, and a crash loses what is queued and in flight.
    #[default]
    Off,
    /// Records come out, and nothing waits for them. A crash can lose the last of them: then messages may be lost or come twice, of QoS 2,
    /// too.
    Behind,
    /// Nothing is sent before the records are stored that it depends on. A crash loses nothing that was told as stored, and doubles nothing
    /// of QoS 2.
    WriteAhead,
}

/// Which packet identifier a message or a request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketIds {
    /// One that was in use before, where there is one: PUBLISH from the bottom, SUBSCRIBE and UNSUBSCRIBE from the top. It costs the same
    /// however many there are.
    #[default]
    Reused,
    /// The one behind that which was given last, whatever it was for; behind 65,535 comes 1, and what is in use is passed over. So an
    /// identifier stays free for as long as it can: for servers that acknowledge twice, or late, and for captures that people read.
    ///
    /// What is in flight then costs an allocation now and then, and passing over what is in use costs time for each.
    Ascending,
}
