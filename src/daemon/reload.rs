//! Another configuration takes the place of the one in force, and nobody is sent away for it.
//!
//! Everything that may fail is done first, beside what is in force: the file is read and checked,
//! certificates are read, sockets bound, domains added. Then the new settings are shown, and
//! whoever comes from then on is served by them.

use std::path::PathBuf;

use world::tls::ServerTls;

use super::{Parts, furnish, run::server_tls};
use crate::{
    config::{Change, Config, changes},
    doors::Inherited,
    tree::House,
};

/// What a reload needs to know of the start.
pub(super) struct Reloader {
    /// Where the configuration is; none for a demo.
    pub(super) file: Option<PathBuf>,
    pub(super) inherited: Inherited,
}

impl Reloader {
    /// Reads the configuration again and makes it the one in force; what has changed.
    ///
    /// # Errors
    /// Why the one in force stays.
    pub(super) async fn reload(
        &self,
        house: &mut House,
        parts: &Parts,
    ) -> Result<Vec<Change>, String> {
        let Some(file) = &self.file else {
            return Err("this daemon was started without a configuration".to_owned());
        };
        let name = file.display().to_string();
        let read = Config::read(file).map_err(|error| error.to_string())?;
        let config = read.effective;
        config
            .check_listeners(&name)
            .map_err(|error| error.to_string())?;
        let changes = changes(&parts.config.get(), &config);
        let stuck = changes.iter().filter(|change| change.needs_restart);
        let stuck: Vec<_> = stuck.map(|change| format!("\n  {change}")).collect();
        if !stuck.is_empty() {
            return Err(format!(
                "{name}: nothing is changed, because not everything can be:{}",
                stuck.concat()
            ));
        }
        let tls = server_tls(&config).map_err(|error| error.to_string())?;
        let doors = house.doors.prepare(&config, &self.inherited);
        let doors = doors.map_err(|error| error.to_string())?;
        furnish::domains(&*parts.accounts, &*parts.leases, &config.domains)
            .await
            .map_err(|error| format!("cannot add the domains: {error}"))?;
        show_tls(parts, tls);
        parts.config.set(config);
        house.doors.take_over(parts, &house.root, doors).await?;
        Ok(changes)
    }
}

/// Also sessions that have begun show the new certificate, if they had one to show.
fn show_tls(parts: &Parts, new: Option<ServerTls>) {
    match (&*parts.server_tls.get(), new) {
        (Some(old), Some(new)) => old.certificates().take_over(new.certificates()),
        (_, new) => parts.server_tls.set(new),
    }
}
