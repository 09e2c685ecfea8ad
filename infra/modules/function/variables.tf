variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region in which it runs."
  type        = string
}

variable "name" {
  description = "Name of the function: its entry point in functions/main.py."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,40}$", var.name))
    error_message = "An entry point is named in lower-case letters and digits."
  }
}

variable "description" {
  description = "What it does, in a few words."
  type        = string
}

variable "account" {
  description = "E-mail address of the service account it runs as."
  type        = string
}

variable "build" {
  description = "What it is built from and by whom: the zip's bucket and object, the builder's account, the repository for the image."
  type        = object({ bucket = string, object = string, account = string, repository = string })
}

variable "public" {
  description = "Whether requests from outside the project get as far as the check of who may call it. Cloud Scheduler and Pub/Sub of the same project count as inside, at the function's run.app address."
  type        = bool
  default     = false
}

variable "memory" {
  description = "Memory of an instance, as 512Mi."
  type        = string

  validation {
    condition     = can(regex("^(512Mi|[12]Gi)$", var.memory))
    error_message = "Memory is 512Mi, 1Gi or 2Gi: with a whole processor."
  }
}

variable "concurrency" {
  description = "Requests that one instance handles at a time."
  type        = number

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 80
    error_message = "An instance handles 1 to 80 requests at a time."
  }
}

variable "instances" {
  description = "How many instances there are at least, and at most: the most that it can cost."
  type        = object({ min = number, max = number })

  validation {
    condition     = var.instances.min >= 0 && var.instances.max >= 1 && var.instances.max >= var.instances.min
    error_message = "At least 0, at most 1 or more, and not less than at least."
  }
}

variable "timeout_s" {
  description = "Seconds that one request may take."
  type        = number

  validation {
    condition     = var.timeout_s >= 1 && var.timeout_s <= 3600
    error_message = "A request may take up to an hour."
  }
}

variable "environment" {
  description = "Environment variables: PITWALL_... and GOOGLE_CLOUD_PROJECT, as functions/pitwall/settings.py reads them."
  type        = map(string)
}

variable "secrets" {
  description = "Secrets that are environment variables, by variable. A secret without a value keeps the function from starting."
  type        = map(string)
  default     = {}
}
