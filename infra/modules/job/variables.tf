variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region of the job."
  type        = string
}

variable "name" {
  description = "Name of the job."
  type        = string
}

variable "description" {
  description = "What it is for."
  type        = string
}

variable "schedule" {
  description = "When it runs, in cron's form, UTC."
  type        = string

  validation {
    condition     = length(split(" ", var.schedule)) == 5
    error_message = "Five fields, as `*/15 * * * *`."
  }
}

variable "url" {
  description = "The function's run.app address."
  type        = string
}

variable "body" {
  description = "What it asks for: the feed, of a function that is told one."
  type        = map(string)
}

variable "account" {
  description = "E-mail address of the service account in whose name it calls."
  type        = string
}

variable "deadline_s" {
  description = "Seconds after which an attempt has failed."
  type        = number

  validation {
    condition     = var.deadline_s >= 15 && var.deadline_s <= 1800
    error_message = "Cloud Scheduler waits from 15 to 1,800 seconds."
  }
}

variable "retries" {
  description = "Attempts after one that failed, before the next time it is due."
  type        = number

  validation {
    condition     = var.retries >= 0 && var.retries <= 5
    error_message = "From 0 to 5."
  }
}

variable "paused" {
  description = "Whether it does not run for now."
  type        = bool
  default     = false
}
