variable "project" {
  description = "Id of the project."
  type        = string
}

variable "accounts" {
  description = "What each service account is for, by its id."
  type        = map(string)

  validation {
    condition     = alltrue([for id in keys(var.accounts) : can(regex("^[a-z]([-a-z0-9]{4,28}[a-z0-9])$", id))])
    error_message = "The id of a service account has 6 to 30 lower-case letters, digits and hyphens."
  }
}
