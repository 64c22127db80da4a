// Leaves out what "Attention required" has not, and the groups while all are meant; the server refuses the same.
const NOT_WITH_ATTENTION = ["mitigation", "due_on", "opens_ticket"];
const form = document.querySelector("[data-request]");

function offer(name, isOffered) {
  const part = form.querySelector(`[data-field="${name}"]`);
  if (!part) return;
  part.hidden = !isOffered;
  for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = !isOffered;
}

function follow() {
  const isAttention = form.elements.option.value === "attention_required";
  for (const name of NOT_WITH_ATTENTION) offer(name, !isAttention);
  if (form.elements.reach) offer("groups", form.elements.reach.value === "chosen");
}

form.addEventListener("change", follow);
follow();
