//! All quotas of a process, by id.

use crate::base::time::Instant;
use crate::ledger::shares::account::Account;
use crate::ledger::shares::quota::{News, Quota, ShareId};

/// All quotas of a process.
#[derive(Debug, Default)]
pub struct Entries {
    /// By id.
    all: Vec<Option<Box<Entry>>>,
    count: u32,
}

/// One quota, and what was told of it.
#[derive(Debug)]
pub struct Entry {
    /// Its share.
    pub account: Account,
    /// When it was last looked at.
    pub looked_at: Instant,
    /// Until when shards may take from its word, and whether last requests may be sent, as was last
    /// told.
    lease: Instant,
    may_be_short: bool,
}

impl Entries {
    /// Adds a quota, or gives one other terms.
    pub fn set(&mut self, id: ShareId, quota: Quota, used: u64) {
        if self.all.len() <= id.index() {
            self.all.resize_with(id.index() + 1, || None);
        }
        match &mut self.all[id.index()] {
            Some(entry) => entry.account.adopt(quota, used),
            place @ None => {
                self.count += 1;
                *place = Some(Box::new(Entry {
                    account: Account::new(id, quota, used),
                    looked_at: Instant::ZERO,
                    lease: Instant::ZERO,
                    may_be_short: false,
                }));
            }
        }
    }

    /// Takes a quota out.
    pub fn remove(&mut self, id: ShareId) -> Option<Account> {
        let entry = self.all.get_mut(id.index())?.take()?;
        self.count -= 1;
        Some(entry.account)
    }

    /// A quota.
    #[must_use]
    pub fn get(&self, id: ShareId) -> Option<&Entry> {
        self.all.get(id.index())?.as_deref()
    }

    /// A quota, to change it.
    pub fn get_mut(&mut self, id: ShareId) -> Option<&mut Entry> {
        self.all.get_mut(id.index())?.as_deref_mut()
    }

    /// All of them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.all.iter_mut().flatten().map(Box::as_mut)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Entry {
    /// Tells until when shards may take, and whether last requests may be sent, where that has
    /// changed.
    pub fn tell(&mut self, news: &mut Vec<News>) {
        let share = self.account.id();
        let until = self.account.lease_until();
        if std::mem::replace(&mut self.lease, until) != until {
            news.push(News::Lease { share, until });
        }
        let may = self.account.may_be_short();
        if std::mem::replace(&mut self.may_be_short, may) != may {
            news.push(News::Short { share, may });
        }
    }
}
