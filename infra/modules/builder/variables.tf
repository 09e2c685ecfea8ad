variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the repository: that of the functions."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket for the zip."
  type        = string
}

variable "bundle" {
  description = "Path of the zip that deploy/bundle.py makes."
  type        = string

  validation {
    condition     = fileexists(var.bundle)
    error_message = "There is no such zip. `make deploy` makes it; by itself: python -m deploy.bundle."
  }
}
