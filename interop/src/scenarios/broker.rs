//! Whether there is a broker.

use crate::site::{Result, Site, part, same};

pub(super) async fn connecting(site: Site) -> Result {
    let client = site.client("a").await?;
    same("version", client.version(), site.version())?;
    part([client]).await;
    Ok(())
}
