variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the functions and of the image repository."
  type        = string
}

variable "roles" {
  description = "Roles of our own, by id: fewer permissions than any role of Google's that would do."
  type = map(object({
    title       = string
    permissions = list(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for role in var.roles : length(role.permissions) > 0 && !anytrue([for p in role.permissions : strcontains(p, "*")])])
    error_message = "A role names each of its permissions."
  }
}

variable "grants" {
  description = "Who (member) may do what (role) with which thing (kind and target)."
  type = list(object({
    kind      = string
    target    = string
    role      = string
    member    = string
    condition = optional(object({ title = string, expression = string }))
  }))

  validation {
    condition     = alltrue([for g in var.grants : contains(["project", "topic", "subscription", "bucket", "secret", "function", "repository", "account"], g.kind)])
    error_message = "Rights are given on a project, topic, subscription, bucket, secret, function, repository or account."
  }

  validation {
    condition     = alltrue([for g in var.grants : !contains(["roles/owner", "roles/editor", "roles/viewer"], g.role)])
    error_message = "Basic roles allow far more than any part of this needs."
  }

  validation {
    condition     = alltrue([for g in var.grants : g.member != "allAuthenticatedUsers" && (g.member != "allUsers" || g.kind == "function")])
    error_message = "Nothing but a function can be everybody's."
  }

  validation {
    condition     = alltrue([for g in var.grants : g.condition == null || contains(["project", "bucket"], g.kind)])
    error_message = "Conditions are for rights on the project or a bucket."
  }
}
