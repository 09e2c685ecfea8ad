variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region in which messages are kept: an ordering key's order holds within one."
  type        = string
}

variable "topics" {
  description = "What the messages of each topic are, by its id, in letters, digits and hyphens."
  type        = map(string)

  validation {
    condition     = alltrue([for topic, message in var.topics : can(regex("^[a-z][a-z-]{2,60}$", topic)) && !endswith(topic, "-dead") && can(regex("^[a-z0-9-]{1,63}$", message))])
    error_message = "Topics and what they hold are named in lower-case letters and hyphens; those for dead letters are made for each."
  }
}

variable "subscriptions" {
  description = "Push subscriptions by id: their topic, the URL of the function they push to, how long a push may take, and after how many seconds one that failed is tried again, at first and at most."
  type = map(object({
    topic             = string
    endpoint          = string
    ack_deadline_s    = optional(number, 60)
    minimum_backoff_s = optional(number, 0.1)
    maximum_backoff_s = optional(number, 60)
  }))

  validation {
    condition     = alltrue([for s in var.subscriptions : contains(keys(var.topics), s.topic)])
    error_message = "A subscription is to one of the topics."
  }

  validation {
    condition     = alltrue([for s in var.subscriptions : s.ack_deadline_s >= 10 && s.ack_deadline_s <= 600 && s.maximum_backoff_s <= 600])
    error_message = "Pub/Sub waits 10 to 600 s for an answer, and at most 600 s between two attempts."
  }
}

variable "push_account" {
  description = "E-mail address of the service account in whose name Pub/Sub pushes."
  type        = string
}

variable "attempts" {
  description = "Deliveries of a message until it is put away as a dead letter."
  type        = number
  default     = 100

  validation {
    condition     = var.attempts >= 50 && var.attempts <= 100
    error_message = "From 50, so that an outage puts nothing away, to 100, the most that Pub/Sub counts."
  }
}
