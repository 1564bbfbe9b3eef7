use super::Session;

impl Session {
    /// Gives back what bursts have left behind. For now and then.
    pub(super) fn give_memory_back(&mut self) {
        self.inbox.give_memory_back();
        self.outgoing.give_memory_back();
        self.link.give_memory_back();
        self.events.give_memory_back();
        if self.actions.is_empty() {
            self.actions.shrink_to_fit();
        }
    }
}
