variable "project" {
  description = "Id of the project."
  type        = string
}

variable "services" {
  description = "APIs to enable, as `run.googleapis.com`."
  type        = set(string)

  validation {
    condition     = alltrue([for service in var.services : endswith(service, ".googleapis.com")])
    error_message = "An API is named in full, as run.googleapis.com."
  }
}
