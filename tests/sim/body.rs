//! What is played of a request's body: the room that it takes, and its dialects.

use infermux::testing::exchange::course::{Action, Part};

use crate::promise::{Broken, Held};
use crate::world::World;

impl World {
    /// A body arrives; whether there is room for it.
    pub(crate) fn receive(&mut self, request: usize) -> Result<bool, Broken> {
        let one = &mut self.requests[request];
        let bytes = bytes(one.tokens);
        self.memory.hold(&mut one.bodies, bytes)
    }

    /// The request is put into the dialect of the candidate `place`, where that is another one.
    /// What follows where that, or the room for it, is wanting.
    pub(crate) fn translate(
        &mut self,
        request: usize,
        place: usize,
    ) -> Result<Option<Action>, Broken> {
        let one = &mut self.requests[request];
        let bytes = bytes(one.tokens);
        self.memory.keep(&mut one.bodies, bytes);
        if !self.dice.chance(100) {
            return Ok(None);
        }
        if self.dice.chance(300) {
            one.way.on_tried(place)?;
            let action = one.course.inexpressible(self.now, place);
            self.say(|| format!("request {request}: provider {place} cannot express it"));
            return Ok(Some(action));
        }
        let has_room = self.memory.hold(&mut one.bodies, bytes)?;
        Ok((!has_room).then_some(Action::Refuse))
    }

    /// The provider refuses to be asked for the usage of a stream: the same without that.
    pub(crate) fn without_injection(&mut self, request: usize) -> Held {
        let one = &mut self.requests[request];
        one.way.on_injection_refused();
        let action = one.course.without(self.now, Part::Usage);
        self.say(|| format!("request {request}: once more, without injection"));
        self.follow(request, action)
    }
}

/// What a body of these many tokens takes.
fn bytes(tokens: u64) -> usize {
    usize::try_from(4 * tokens).unwrap_or(0)
}
