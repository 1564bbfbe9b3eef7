use std::boxed::Box;
use std::future::poll_fn;
use std::task::Poll;

use crate::{ReauthenticateError, Token};

use super::shared::Shared;
use super::watch::Watches;

pub(super) async fn reauthenticate(shared: &Shared) -> Result<(), ReauthenticateError> {
    let now = shared.now();
    let token = shared.run(|state| {
        if state.closed.is_some() {
            return Err(ReauthenticateError::Closed);
        }
        let token = state.connection.session_mut().reauthenticate(now)?;
        let watches = &mut state.reauthentications;
        watches
            .get_or_insert_with(|| Box::new(Watches::new()))
            .watch(token);
        Ok(token)
    })?;
    let watched = Watched { shared, token };
    let ended = poll_fn(|context| {
        watched.shared.poll(context, |state, park| {
            let watches = state.reauthentications.as_mut();
            watches.map_or(Poll::Ready(None), |watches| {
                watches.poll(watched.token, Some(park))
            })
        })
    })
    .await;
    ended.unwrap_or(Err(ReauthenticateError::Closed))
}

/// Gives its place up when it is dropped.
struct Watched<'a> {
    shared: &'a Shared,
    token: Token,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let token = self.token;
        let parked = self
            .shared
            .run(|state| state.reauthentications.as_mut()?.forget(token));
        drop(parked);
    }
}
