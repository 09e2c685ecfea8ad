variable "project" {
  description = "Id of the project."
  type        = string
}

variable "rulesets" {
  description = "Text of the rules, by name."
  type        = object({ open = string, closed = string })
}

variable "released" {
  description = "Which of them holds at first, and when one of them has changed."
  type        = string

  validation {
    condition     = contains(["open", "closed"], var.released)
    error_message = "Either open or closed is released."
  }
}
