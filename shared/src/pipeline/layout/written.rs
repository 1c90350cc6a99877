//! Bodies of some records of a layout, written and measured.

use std::collections::HashSet;

use super::{Layout, NONE};
use crate::provider::Step;

/// The most bytes that names and punctuation of one step of a path take.
pub(super) const PUNCTUATION: usize = 24;

/// The bytes of a body of some records, counted generously.
pub(in crate::pipeline) struct Measure<'l, 'a> {
    layout: &'l Layout<'a>,
    group: Option<usize>,
    contacts: HashSet<u32>,
}

impl<'l, 'a> Measure<'l, 'a> {
    pub(super) fn of(layout: &'l Layout<'a>) -> Self {
        Self {
            layout,
            group: None,
            contacts: HashSet::new(),
        }
    }

    /// The bytes that one more record adds.
    pub(in crate::pipeline) fn add(&mut self, position: u32) -> usize {
        let layout = self.layout;
        let index = layout.group_index(position);
        let Some(group) = layout.groups.get(index) else {
            return 0;
        };
        let mut bytes = layout.run_in(group, &(position..position + 1)).len() + 1;
        if self.group != Some(index) {
            self.group = Some(index);
            bytes += layout.bytes_around(group.object);
        }
        if let Some(contact) = layout.contact(position)
            && self.contacts.insert(contact)
        {
            bytes += layout.contact_text(contact).len() + 1;
        }
        bytes
    }
}

/// A body that is written record by record.
pub(super) struct Body<'l, 'a> {
    layout: &'l Layout<'a>,
    pub(super) text: String,
    /// The objects that are not closed yet, from the outermost.
    open: Vec<Open>,
    /// Whether records are in an array without an object.
    is_array: bool,
    /// The contacts of the innermost object's records, without repetitions.
    contacts: Vec<u32>,
    has_contact: HashSet<u32>,
}

struct Open {
    object: u32,
    is_empty: bool,
    /// The field whose list is not closed yet.
    list: Option<&'static str>,
}

impl<'l, 'a> Body<'l, 'a> {
    pub(super) fn of(layout: &'l Layout<'a>) -> Self {
        Self {
            layout,
            text: String::new(),
            open: Vec::new(),
            is_array: false,
            contacts: Vec::new(),
            has_contact: HashSet::new(),
        }
    }

    /// Closes and opens objects until this one is the innermost.
    pub(super) fn enter(&mut self, object: u32) {
        if self.open.last().map_or(NONE, |open| open.object) == object {
            return;
        }
        let mut path = Vec::new();
        let mut next = object;
        while let Some(around) = self.layout.objects.get(next as usize) {
            path.push(next);
            next = around.parent;
        }
        path.reverse();
        let same = self.open.iter().zip(&path);
        let common = same.take_while(|(open, object)| open.object == **object).count();
        while self.open.len() > common {
            self.leave();
        }
        for object in path.into_iter().skip(common) {
            self.open_object(object);
        }
    }

    fn open_object(&mut self, index: u32) {
        let Some(object) = self.layout.objects.get(index as usize) else {
            return;
        };
        let depth = usize::from(object.depth);
        let path = self.layout.nesting.map_or(&[][..], |nesting| nesting.path);
        if !self.open.is_empty() {
            match depth.checked_sub(1).and_then(|step| path.get(step)) {
                Some(Step::List(name)) => self.list(name),
                Some(Step::Object(name)) => self.field(name),
                None => {}
            }
        }
        self.text.push('{');
        self.text.push_str(&object.beside);
        self.open.push(Open {
            object: index,
            is_empty: object.beside.is_empty(),
            list: None,
        });
    }

    /// Begins a field of the innermost object.
    fn field(&mut self, name: &str) {
        self.close_list();
        let Some(open) = self.open.last_mut() else { return };
        if !open.is_empty {
            self.text.push(',');
        }
        open.is_empty = false;
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    /// Begins an element of the innermost object's list with this name, or of the array.
    pub(super) fn list(&mut self, name: &'static str) {
        let is_open = match self.open.last() {
            Some(open) => open.list == Some(name),
            None => std::mem::replace(&mut self.is_array, true),
        };
        if is_open {
            self.text.push(',');
            return;
        }
        self.field(name);
        self.text.push('[');
        if let Some(open) = self.open.last_mut() {
            open.list = Some(name);
        }
    }

    fn close_list(&mut self) {
        if self.open.last_mut().and_then(|open| open.list.take()).is_some() {
            self.text.push(']');
        }
    }

    /// Adds a contact to the innermost object.
    pub(super) fn refer_to(&mut self, contact: Option<u32>) {
        if let Some(contact) = contact
            && self.has_contact.insert(contact)
        {
            self.contacts.push(contact);
        }
    }

    /// Closes the innermost object.
    fn leave(&mut self) {
        let contacts = std::mem::take(&mut self.contacts);
        self.has_contact.clear();
        if let Some(nesting) = self.layout.nesting {
            for contact in contacts {
                self.list(nesting.contacts);
                self.text.push_str(self.layout.contact_text(contact));
            }
        }
        self.close_list();
        if self.open.pop().is_some() {
            self.text.push('}');
        }
    }

    pub(super) fn end(mut self) -> String {
        while !self.open.is_empty() {
            self.leave();
        }
        if self.is_array {
            self.text.push(']');
        } else if self.text.is_empty() {
            self.text.push_str("[]");
        }
        self.text
    }
}
